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

/// The name of a package's file as reflection gives it: "demo/v1.proto" for demo.v1.
std::string proto_file_name(const std::string& package);

/// The file of all services of one package as an encoded google.protobuf.FileDescriptorProto. REQUIRES: at least one
/// service, all of the same package; messages of the same name are the same.
std::string proto_descriptor(const std::vector<const service_schema*>& services);

}  // namespace atoll_root::atoll::services
