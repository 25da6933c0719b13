#include "model/fingerprint.h"
