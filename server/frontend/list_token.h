// Page tokens of lists: where a page ended, signed like every token that travels through clients (rule E17).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "server/store/store.h"

namespace perdure::frontend {

std::string write_list_token(const store::VisibilityMark& mark, const std::string& key);
// INVALID_ARGUMENT for bytes that are no token of ours.
base::Result<store::VisibilityMark> read_list_token(std::string_view bytes, const std::string& key);

}  // namespace perdure::frontend
