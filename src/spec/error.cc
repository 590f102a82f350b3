#include "isle/error.h"

#include "sys/flag_names.h"

namespace isle {

std::string Error::summary() const {
  return code == 0 ? what : what + ": " + sys::errno_message(code);
}

std::string Error::message() const {
  std::string text = summary();
  if (!asked_by.empty() && asked_by != "default") text += "\n  asked by: " + asked_by;
  if (!hint.empty()) text += "\n  hint: " + hint;
  return text;
}

}  // namespace isle
