// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/services/gateway/reflection.hh>

#include <atoll/services/gateway/proto_file.hh>

namespace atoll_root::atoll::services {
namespace {

// The protocol's messages. Its field numbers have gaps, its oneofs are optionals here.
using gap = std::optional<bool>;

struct extension_request {
  std::string containing_type;
  std::int32_t extension_number = 0;
};
ATOLL_MESSAGE(extension_request, containing_type, extension_number);

struct reflection_request {
  std::string host;
  gap unused_2;
  std::optional<std::string> file_by_filename;
  std::optional<std::string> file_containing_symbol;
  std::optional<extension_request> file_containing_extension;
  std::optional<std::string> all_extension_numbers_of_type;
  std::optional<std::string> list_services;
};
ATOLL_MESSAGE(reflection_request, host, unused_2, file_by_filename, file_containing_symbol, file_containing_extension,
              all_extension_numbers_of_type, list_services);

struct file_descriptor_response {
  std::vector<bytes> file_descriptor_proto;
};
ATOLL_MESSAGE(file_descriptor_response, file_descriptor_proto);

struct service_response {
  std::string name;
};
ATOLL_MESSAGE(service_response, name);

struct list_service_response {
  std::vector<service_response> service;
};
ATOLL_MESSAGE(list_service_response, service);

struct error_response {
  std::int32_t error_code = 0;
  std::string error_message;
};
ATOLL_MESSAGE(error_response, error_code, error_message);

struct reflection_response {
  std::string valid_host;
  std::optional<reflection_request> original_request;
  gap unused_3;
  std::optional<atoll::services::file_descriptor_response> file_descriptor_response;
  gap all_extension_numbers_response;  // never sent
  std::optional<list_service_response> list_services_response;
  std::optional<atoll::services::error_response> error_response;
};
ATOLL_MESSAGE(reflection_response, valid_host, original_request, unused_3, file_descriptor_response,
              all_extension_numbers_response, list_services_response, error_response);

error_response not_found(const std::string& what) {
  return {static_cast<std::int32_t>(status_code::not_found), "not found: " + what};
}

}  // namespace

reflection::reflection(const dispatcher& exposed) {
  std::map<std::string, std::vector<const service_schema*>> packages;
  for (const auto& [name, service] : exposed.services()) packages[service->schema.package].push_back(&service->schema);
  for (const auto& [package, schemas] : packages) files_.emplace(proto_file_name(package), proto_descriptor(schemas));
  for (const auto& [name, service] : exposed.services()) {
    const auto& schema = service->schema;
    const auto file = proto_file_name(schema.package);
    services_.push_back(name);
    files_of_symbols_.emplace(name, file);
    for (const auto& method : schema.methods) files_of_symbols_.emplace(name + "." + method.name, file);
    const auto prefix = schema.package.empty() ? std::string() : schema.package + ".";
    for (const auto& message : schema.messages) {
      files_of_symbols_.emplace(prefix + message.name, file);
    }
  }
}

bool reflection::serves(std::string_view path) noexcept {
  return path == "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" ||
         path == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
}

result<std::string> reflection::answer(std::string_view encoded) const {
  reflection_request request;
  if (auto bad = decode_message(encoded, request)) return std::move(*bad);
  reflection_response response;
  response.valid_host = request.host;
  response.original_request = request;
  const auto give_file = [&](const std::string& name, const std::string& asked) {
    const auto file = files_.find(name);
    if (file == files_.end()) {
      response.error_response = not_found(asked);
    } else {
      response.file_descriptor_response.emplace().file_descriptor_proto.emplace_back(file->second);
    }
  };
  if (request.file_by_filename) {
    give_file(*request.file_by_filename, *request.file_by_filename);
  } else if (request.file_containing_symbol) {
    const auto symbol = files_of_symbols_.find(*request.file_containing_symbol);
    give_file(symbol == files_of_symbols_.end() ? std::string() : symbol->second, *request.file_containing_symbol);
  } else if (request.list_services) {
    auto& listed = response.list_services_response.emplace();
    for (const auto& name : services_) listed.service.push_back({name});
  } else if (request.file_containing_extension || request.all_extension_numbers_of_type) {
    response.error_response = not_found("extensions: proto3 services have none");
  } else {
    response.error_response = {static_cast<std::int32_t>(status_code::invalid_argument), "an empty reflection request"};
  }
  std::string reply;
  if (auto bad = encode_message(reply, response)) return std::move(*bad);
  return reply;
}

}  // namespace atoll_root::atoll::services
