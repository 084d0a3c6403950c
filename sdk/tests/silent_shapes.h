// Workflows whose code g++ 12 compiles to something that neither awaits nor ends, without a word. See
// silent_shapes.cc.
#pragma once

#include <vector>

#include <perdure/detail/registration.h>

namespace perdure::test::shapes {

std::vector<detail::WorkflowDefinition> silent_shapes();

}  // namespace perdure::test::shapes
