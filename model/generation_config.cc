#include "model/generation_config.h"
