// expect: Perdure needs exceptions and RTTI
// flags: -fno-rtti
#include <perdure/workflow.h>
