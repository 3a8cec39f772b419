// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Durations and points in time, for headers: <chrono> without its calendars, zones and formatting, which bring in the streams and
// cost who includes them a third of a second. Where the standard library doesn't have that part apart, it is all of <chrono>.
#pragma once

#if __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif
