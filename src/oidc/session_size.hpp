// Why a session is as large as it is, and what to write so that it becomes smaller.
#pragma once

#include <string>

#include "session.hpp"

namespace oidc {

// "the biggest parts are claim "groups" (5000 bytes) and id_token (900 bytes); to keep less, write "session_keep
// claims=email;"": the line leaves out the biggest parts until `too_much` bytes are gone.
std::string size_advice(const SessionView &session, size_t too_much);

}  // namespace oidc
