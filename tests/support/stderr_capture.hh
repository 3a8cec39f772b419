// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
//   const stderr_capture err;
//   report();
//   EXPECT_NE(err.text().find("stalled"), std::string::npos);
#pragma once

#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <string>

/// What this process writes to stderr while it lives: one at a time.
class stderr_capture {
 public:
  stderr_capture() : file_(::memfd_create("stderr", MFD_CLOEXEC)), before_(::dup(STDERR_FILENO)) {
    ::dup2(file_, STDERR_FILENO);
  }
  stderr_capture(const stderr_capture&) = delete;
  stderr_capture& operator=(const stderr_capture&) = delete;
  ~stderr_capture() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    ::close(file_);
  }
  [[nodiscard]] std::string text() const {
    std::string all(static_cast<std::size_t>(::lseek(file_, 0, SEEK_END)), '\0');
    if (::pread(file_, all.data(), all.size(), 0) != static_cast<ssize_t>(all.size())) return "(unreadable)";
    return all;
  }

 private:
  int file_;
  int before_;
};
