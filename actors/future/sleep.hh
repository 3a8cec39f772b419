// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Waiting for time to pass.
//
//   co_await atoll::sleep(5ms);
//
// A sleep ends early with `cancelled` or `deadline_exceeded` where its context does.
// Cost: one pooled block; arming and cancelling are O(1), and sleep() doesn't read the clock.
#pragma once

#include <atoll/actors/future/cancel.hh>

namespace atoll_root::atoll {

/// Ready after `d`, never before. Not positive: at the loop's next look at the clock.
future<> sleep(duration d);
future<> sleep_until(time_point when);

}  // namespace atoll_root::atoll
