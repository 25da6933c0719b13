#include "model/inspect.h"
