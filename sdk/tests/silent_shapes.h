// Workflows whose code g++ 12 compiles to something that neither awaits nor ends, without a word. See
// silent_shapes.cc.
#pragma once

#include <vector>

#include <perdure/detail/registration.h>

namespace perdure::test {

// As users build while they write, and as they ship: with -O0 and with -O2.
namespace shapes_O0 {
std::vector<detail::WorkflowDefinition> silent_shapes();
}
namespace shapes_O2 {
std::vector<detail::WorkflowDefinition> silent_shapes();
}

}  // namespace perdure::test
