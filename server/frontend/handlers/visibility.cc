// Lists and counts of workflows.
#include <google/protobuf/io/coded_stream.h>

#include "server/frontend/api.h"
#include "server/frontend/list_token.h"
#include "server/frontend/method.h"
#include "server/frontend/validate.h"
#include "server/visibility/filter.h"

namespace perdure::frontend {
namespace {

using CallPtr = std::shared_ptr<Call>;
using store::VisibilityRow;

constexpr int kMostRows = 1000;

void append_field(std::string& bytes, int field, std::string_view content) {
  using google::protobuf::io::CodedOutputStream;
  std::uint8_t head[16];
  std::uint8_t* end = CodedOutputStream::WriteTagToArray(static_cast<std::uint32_t>(field << 3 | 2), head);
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(content.size()), end);
  bytes.append(reinterpret_cast<const char*>(head), static_cast<std::size_t>(end - head)).append(content);
}

// executions = 1 (as stored), next_page_token = 2. A full page has a token, even when nothing follows.
std::string compose(const std::vector<VisibilityRow>& rows, int page_size, const std::string& signing_key) {
  std::string bytes;
  for (const VisibilityRow& row : rows) append_field(bytes, 1, row.info);
  if (!rows.empty() && static_cast<int>(rows.size()) >= page_size) {
    const VisibilityRow& last = rows.back();
    append_field(bytes, 2, write_list_token({last.close_time, last.start_time, last.run_id}, signing_key));
  }
  return bytes;
}

Status list_workflows(Services& services, const CallPtr& call, wfs::ListWorkflowExecutionsRequest request) {
  TRY(NamespaceView ns, find_namespace(services, request.namespace_()));
  store::VisibilityQuery query;
  TRY(query.filter, visibility::parse_filter(request.query()));
  query.filter.namespace_id = ns->id();
  query.page_size =
      request.page_size() <= 0 || request.page_size() > kMostRows ? kMostRows : request.page_size();
  if (!request.next_page_token().empty()) {
    TRY(query.after, read_list_token(request.next_page_token(), ns.catalog->token_key));
  }
  services.executions.await_visibility(
      [call, &services, ns = std::move(ns), query = std::move(query)](Status status) mutable {
        if (!status) {
          call->finish(std::unexpected(std::move(status).error()));
          return;
        }
        const int size = query.page_size;
        services.store.list(std::move(query),
                            [call, ns = std::move(ns), size](Result<std::vector<VisibilityRow>> rows) {
                              if (rows) {
                                call->finish(compose(*rows, size, ns.catalog->token_key));
                              } else {
                                call->finish(std::unexpected(std::move(rows).error()));
                              }
                            });
      });
  return {};
}

Status count_workflows(Services& services, const CallPtr& call, wfs::CountWorkflowExecutionsRequest request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY(store::VisibilityFilter filter, visibility::parse_filter(request.query()));
  filter.namespace_id = ns->id();
  services.executions.await_visibility([call, &services, filter = std::move(filter)](Status status) mutable {
    if (!status) {
      call->finish(std::unexpected(std::move(status).error()));
      return;
    }
    services.store.count(std::move(filter), [call](Result<std::int64_t> count) {
      if (!count) {
        call->finish(std::unexpected(std::move(count).error()));
        return;
      }
      wfs::CountWorkflowExecutionsResponse response;
      response.set_count(*count);
      answer(*call, response);
    });
  });
  return {};
}

}  // namespace

void add_visibility_methods(MethodTable& table, Services& services) {
  add_method(table, services, kWorkflowService, "ListWorkflowExecutions", Policy::kReadNamespace,
             RateClass::kVisibility, list_workflows);
  add_method(table, services, kWorkflowService, "CountWorkflowExecutions", Policy::kReadNamespace,
             RateClass::kVisibility, count_workflows);
}

}  // namespace perdure::frontend
