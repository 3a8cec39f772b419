// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The .proto file of a service, made from its description.
//
//   std::fputs(atoll::services::proto_text(atoll::schema_of<counter>()).c_str(), stdout);
//
// What it prints compiles with protoc, and a client built from it talks to the gateway.
#pragma once

#include <string>

#include <atoll/rpc/schema.hh>

namespace atoll_root::atoll::services {

/// The file as text.
std::string proto_text(const service_schema& service);

/// The file's name as reflection gives it: "demo/v1/counter.proto".
std::string proto_file_name(const service_schema& service);

/// The file as an encoded google.protobuf.FileDescriptorProto.
std::string proto_descriptor(const service_schema& service);

}  // namespace atoll_root::atoll::services
