#include "model/checkpoint.h"
