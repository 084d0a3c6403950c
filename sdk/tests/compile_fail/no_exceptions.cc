// expect: Perdure needs exceptions and RTTI
// flags: -fno-exceptions
#include <perdure/workflow.h>
