// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/services/gateway/proto_file.hh>

#include <algorithm>
#include <set>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <atoll/actors/base/assert.hh>

namespace atoll_root::atoll::services {
namespace {

namespace pb = google::protobuf;
using pb_field = pb::FieldDescriptorProto;

pb_field::Type type_of(wire::field_kind kind) noexcept {
  switch (kind) {
    case wire::field_kind::boolean:
      return pb_field::TYPE_BOOL;
    case wire::field_kind::int32:
      return pb_field::TYPE_INT32;
    case wire::field_kind::int64:
      return pb_field::TYPE_INT64;
    case wire::field_kind::uint32:
      return pb_field::TYPE_UINT32;
    case wire::field_kind::uint64:
      return pb_field::TYPE_UINT64;
    case wire::field_kind::float32:
      return pb_field::TYPE_FLOAT;
    case wire::field_kind::float64:
      return pb_field::TYPE_DOUBLE;
    case wire::field_kind::string:
      return pb_field::TYPE_STRING;
    case wire::field_kind::bytes:
      return pb_field::TYPE_BYTES;
    case wire::field_kind::message:
      return pb_field::TYPE_MESSAGE;
  }
  ATOLL_ASSERT(false, "a field kind without a protobuf type");
  return pb_field::TYPE_BYTES;
}

std::string qualified(const service_schema& service, const std::string& message) {
  return "." + (service.package.empty() ? message : service.package + "." + message);
}

void set_type(pb_field& field, const service_schema& service, wire::field_kind kind, const std::string& message) {
  field.set_type(type_of(kind));
  if (kind == wire::field_kind::message) field.set_type_name(qualified(service, message));
}

/// A map field is, on the wire and in descriptors, a repeated nested message of keys and values.
void add_map_entry(pb::DescriptorProto& message, pb_field& field, const service_schema& service,
                   const field_schema& f) {
  auto& entry = *message.add_nested_type();
  entry.set_name(camel_case(f.name) + "Entry");
  entry.mutable_options()->set_map_entry(true);
  for (const bool is_key : {true, false}) {
    auto& part = *entry.add_field();
    part.set_name(is_key ? "key" : "value");
    part.set_number(is_key ? 1 : 2);
    part.set_label(pb_field::LABEL_OPTIONAL);
    set_type(part, service, is_key ? f.map_key : f.kind, f.message);
  }
  field.set_label(pb_field::LABEL_REPEATED);
  field.set_type(pb_field::TYPE_MESSAGE);
  field.set_type_name(qualified(service, message.name()) + "." + entry.name());
}

void add_message(pb::FileDescriptorProto& file, const service_schema& service, const message_schema& m) {
  auto& message = *file.add_message_type();
  message.set_name(m.name);
  for (const field_schema& f : m.fields) {
    auto& field = *message.add_field();
    field.set_name(f.name);
    field.set_number(static_cast<pb::int32>(f.number));
    if (f.label == field_schema::label::map) {
      add_map_entry(message, field, service, f);
      continue;
    }
    set_type(field, service, f.kind, f.message);
    field.set_label(f.label == field_schema::label::repeated ? pb_field::LABEL_REPEATED : pb_field::LABEL_OPTIONAL);
    if (f.label == field_schema::label::optional) {
      // proto3's `optional` is a oneof with one member and a name nobody uses.
      field.set_proto3_optional(true);
      field.set_oneof_index(message.oneof_decl_size());
      message.add_oneof_decl()->set_name("_" + f.name);
    }
  }
}

void add_service(pb::FileDescriptorProto& file, const service_schema& service) {
  auto& described = *file.add_service();
  described.set_name(service.name);
  for (const auto& m : service.methods) {
    auto& method = *described.add_method();
    method.set_name(m.name);
    method.set_input_type(qualified(service, m.request));
    method.set_output_type(qualified(service, m.reply));
    if (m.idempotent) method.mutable_options()->set_idempotency_level(pb::MethodOptions::IDEMPOTENT);
  }
}

pb::FileDescriptorProto file_of(const std::vector<const service_schema*>& services) {
  const auto& package = services.front()->package;
  pb::FileDescriptorProto file;
  file.set_name(proto_file_name(package));
  file.set_package(package);
  file.set_syntax("proto3");
  std::set<std::string> described;
  for (const auto* service : services) {
    for (const auto& message : service->messages) {
      if (described.insert(message.name).second) add_message(file, *service, message);
    }
    add_service(file, *service);
  }
  return file;
}

}  // namespace

std::string proto_file_name(const std::string& package) {
  std::string name = package.empty() ? "services" : package;
  std::replace(name.begin(), name.end(), '.', '/');
  return name + ".proto";
}

std::string proto_descriptor(const std::vector<const service_schema*>& services) {
  return file_of(services).SerializeAsString();
}

std::string proto_text(const service_schema& service) {
  pb::DescriptorPool pool;
  const auto* file = pool.BuildFile(file_of({&service}));
  ATOLL_ASSERT(file != nullptr, "the schema of a service is a valid .proto file");
  return file->DebugString();
}

}  // namespace atoll_root::atoll::services
