#include "model/identity.h"
