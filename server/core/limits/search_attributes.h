// Search attributes: typed values that visibility queries find runs by (SA-01, SA-02, VI-07).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/core/catalog.h"
#include "server/core/limits/limits.h"
#include "temporal/api/common/v1/message.pb.h"
#include "temporal/api/enums/v1/common.pb.h"

namespace perdure::core {

using temporal::api::common::v1::SearchAttributes;
using SearchAttributeType = temporal::api::enums::v1::IndexedValueType;
using SearchAttributeTypes = std::map<std::string, SearchAttributeType, std::less<>>;

// Filled in by the server for every run; nobody can set them.
const SearchAttributeTypes& system_search_attributes();
// Known in every namespace beside the custom ones; most can be set.
const SearchAttributeTypes& predefined_search_attributes();
// Of a name as clients use it; UNSPECIFIED when the namespace does not know it.
SearchAttributeType search_attribute_type(std::string_view name, const Namespace& ns);
// "Keyword", "Datetime", …: as in payload metadata.
const char* search_attribute_type_name(SearchAttributeType type);

// Checks names, values and sizes of what a client wants to set, and notes each type in its payload's metadata.
// INVALID_ARGUMENT when something is wrong; the attributes are then half done.
base::Status validate_search_attributes(SearchAttributes& attributes, const Namespace& ns,
                                        const Limits& limits);

// True for the payloads that take a value away: null, an empty list, nothing.
bool is_null(const temporal::api::common::v1::Payload& payload);

// Sets what `changes` hold; nulls remove.
void merge(SearchAttributes& attributes, const SearchAttributes& changes);
void merge(temporal::api::common::v1::Memo& memo, const temporal::api::common::v1::Memo& changes);

// As lists show it: a list of one element is a scalar, except where the type is a list.
temporal::api::common::v1::Payload listed(const temporal::api::common::v1::Payload& value);

// A value of type KeywordList.
temporal::api::common::v1::Payload keyword_list(const std::vector<std::string>& words);

}  // namespace perdure::core
