// Programs that isle is when it is called by their name: unshare(1) and nsenter(1) of util-linux.
#pragma once

#include <span>
#include <string_view>

namespace isle::cli {

using FaceMain = int(std::span<char* const> argv);

/// The face for a program called `name` ("isle-nsenter", "/usr/bin/unshare"); null: isle itself.
FaceMain* face_called(std::string_view name);

FaceMain unshare_face_main, nsenter_face_main;

}  // namespace isle::cli
