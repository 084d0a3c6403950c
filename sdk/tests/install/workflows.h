// The workflow code of a project that uses an installed SDK.
#pragma once

#include <perdure/workflow.h>

perdure::Task<std::string> greet(perdure::Context ctx, std::string name);
std::string compose(std::string name);
