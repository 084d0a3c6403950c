#include "server/frontend/grpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

namespace perdure::frontend {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr int kNotFound = 5, kInvalidArgument = 3,
              kUnimplemented = 12;  // canonical codes, as error_response holds them

// Fields of ServerReflectionRequest.
enum Ask : int {
  kHost = 1,
  kFileByName = 3,
  kFileOfSymbol = 4,
  kFileOfExtension = 5,
  kExtensionsOfType = 6,
  kListServices = 7
};

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

void append_field(std::string& bytes, int field, std::string_view content) {
  append_varint(bytes, static_cast<std::uint64_t>(field) << 3 | 2);
  append_varint(bytes, content.size());
  bytes.append(content);
}

std::string error_response(int code, std::string_view message) {
  std::string error;
  append_varint(error, 1 << 3);
  append_varint(error, static_cast<std::uint64_t>(code));
  append_field(error, 2, message);
  std::string bytes;
  append_field(bytes, 7, error);
  return bytes;
}

// The file and all that it imports, those sent before left out.
void append_files(std::string& files, const FileDescriptor& file, std::set<std::string>& sent) {
  if (!sent.insert(file.name()).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  append_field(files, 1, proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) append_files(files, *file.dependency(i), sent);
}

std::string file_response(const FileDescriptor* file, const std::string& asked, std::set<std::string>& sent) {
  if (file == nullptr) return error_response(kNotFound, asked + " is not known");
  std::string files, bytes;
  sent.erase(file->name());  // what is asked for by name is always answered
  append_files(files, *file, sent);
  append_field(bytes, 4, files);
  return bytes;
}

std::string list_response(const std::vector<std::string>& services) {
  std::string list, bytes;
  for (const std::string& service : services) {
    std::string one;
    append_field(one, 1, service);
    append_field(list, 1, one);
  }
  append_field(bytes, 6, list);
  return bytes;
}

}  // namespace

bool is_reflection(std::string_view path) {
  return path == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" ||
         path == "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
}

std::string answer_reflection(std::string_view request, const std::vector<std::string>& services,
                              std::set<std::string>& sent) {
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(request.data()),
                      static_cast<int>(request.size()));
  std::string host, text, response;
  int asked = 0;
  while (const std::uint32_t tag = in.ReadTag()) {
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    const bool is_text = WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (is_text && field >= kHost && field <= kListServices) {
      std::string& place = field == kHost ? host : text;
      if (!WireFormatLite::ReadBytes(&in, &place))
        return error_response(kInvalidArgument, "the request cannot be read");
      if (field != kHost) asked = field;
    } else if (!WireFormatLite::SkipField(&in, tag)) {
      return error_response(kInvalidArgument, "the request cannot be read");
    }
  }
  if (!in.ConsumedEntireMessage()) return error_response(kInvalidArgument, "the request cannot be read");
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  std::string bytes;
  append_field(bytes, 1, host);
  append_field(bytes, 2, request);
  switch (asked) {
    case kFileByName: return bytes + file_response(pool.FindFileByName(text), text, sent);
    case kFileOfSymbol: return bytes + file_response(pool.FindFileContainingSymbol(text), text, sent);
    case kListServices: return bytes + list_response(services);
    case kFileOfExtension:
    case kExtensionsOfType: return bytes + error_response(kNotFound, "there are no extensions");
    default: return bytes + error_response(kUnimplemented, "the request asks for nothing that is known");
  }
}

}  // namespace perdure::frontend
