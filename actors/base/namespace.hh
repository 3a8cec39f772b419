// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Makes the name `atoll::` usable. C's <stdlib.h> declares a function atoll(), so no namespace of that name
// can stand in the global scope. Ours stands in `atoll_root`, and this directive lets everyone write
// `atoll::future<int>`: before `::` the language looks for namespaces and types only, so the function is no
// rival. `std::atoll("1")` keeps working; `::atoll::` with leading colons doesn't. See docs/adr/0001.
//
// Our own files open `namespace atoll_root::atoll {`.
#pragma once

namespace atoll_root::atoll {}
using namespace atoll_root;  // NOLINT(google-build-using-namespace): its one member is `atoll`
