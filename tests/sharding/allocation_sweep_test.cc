// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/testing/alloc_failures.hh>
#include <atoll/testing/atoll_test.hh>
namespace {}
