#include "engine/store/store.hpp"

namespace engine {}
