// Opt-in: protobuf messages as arguments and results. They are written as JSON with the name of their type
// (json/protobuf), as the other SDKs do; binary ones (binary/protobuf) are read too.
//
// Your program links the protobuf that it compiled its messages with; nothing of the SDK's own is shown here.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

template <class T>
  requires std::is_base_of_v<google::protobuf::Message, T>
struct Converter<T> {
  static Payload encode(const T& message) {
    Payload payload = detail::make_payload("json/protobuf", {});
    payload.metadata["messageType"] = message.GetTypeName();
    const auto status = google::protobuf::util::MessageToJsonString(message, &payload.data);
    if (!status.ok()) throw PayloadError(message.GetTypeName() + " as JSON: " + status.ToString());
    return payload;
  }
  static T decode(const Payload& payload) {
    T message;
    const std::string_view encoding = detail::encoding_of(payload);
    if (encoding == "binary/protobuf") {
      if (!message.ParseFromString(payload.data)) throw PayloadError("no " + message.GetTypeName());
      return message;
    }
    if (encoding != "json/protobuf") detail::wrong_encoding(payload, "json/protobuf");
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto status = google::protobuf::util::JsonStringToMessage(payload.data, &message, options);
    if (!status.ok()) throw PayloadError("no " + message.GetTypeName() + ": " + status.ToString());
    return message;
  }
};

}  // namespace v1
}  // namespace perdure
