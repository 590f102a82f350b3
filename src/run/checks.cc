#include "run/checks.h"

namespace isle::checks {

Finding yes(std::string detail) { return {Answer::yes, std::move(detail), {}}; }
Finding no(std::string detail, std::string advice) {
  return {Answer::no, std::move(detail), std::move(advice)};
}
Finding partly(std::string detail, std::string advice) {
  return {Answer::partly, std::move(detail), std::move(advice)};
}

std::string Finding::hint() const {
  if (ok()) return {};
  return advice.empty() ? detail : detail + "; " + advice;
}

}  // namespace isle::checks
