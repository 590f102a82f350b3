// The id maps unshare(1) is asked for, from words to lines. They only compute.
#pragma once

#include <optional>
#include <string_view>

#include "isle/error.h"
#include "isle/idmap.h"

namespace isle::linux_utils {

/// "INNER:OUTER:COUNT", or as before util-linux 2.39 "OUTER,INNER,COUNT".
Result<IdMapping> parse_id_range(std::string_view text);

/// `ranges` with `inner` standing for `outer`: neither appears in any other line. What follows in a
/// range moves up on the other side, so its last id may be left unmapped.
IdMap with_single(const IdMap& ranges, uint32_t inner, uint32_t outer);

}  // namespace isle::linux_utils
