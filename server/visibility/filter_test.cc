#include "server/visibility/filter.h"

#include <gtest/gtest.h>

namespace perdure::visibility {
namespace {

TEST(Filter, NothingMatchesAll) {
  for (const char* text : {"", "  ", "\n\t"}) {
    const auto filter = parse_filter(text);
    ASSERT_TRUE(filter.has_value()) << text;
    EXPECT_FALSE(filter->workflow_id || filter->workflow_type || filter->status);
  }
}

TEST(Filter, EachFieldInEachSpelling) {
  EXPECT_EQ(parse_filter("WorkflowId = 'a'")->workflow_id, "a");
  EXPECT_EQ(parse_filter("WorkflowType='a'")->workflow_type, "a");
  EXPECT_EQ(parse_filter("`WorkflowType`\n=\n\"it's\"")->workflow_type, "it's");
  EXPECT_EQ(parse_filter("WorkflowType = 'it''s'")->workflow_type, "it's");
  EXPECT_EQ(parse_filter("WorkflowType = 'it\\'s'")->workflow_type, "it's");
  EXPECT_EQ(parse_filter("ExecutionStatus = 'TimedOut'")->status, 7);
  EXPECT_EQ(parse_filter("ExecutionStatus = 1")->status, 1);
  const auto both = parse_filter("(WorkflowType = 'T'AND(WorkflowId='a')) and ExecutionStatus = \"Running\"");
  ASSERT_TRUE(both.has_value()) << both.error().message;
  EXPECT_EQ(both->workflow_id, "a");
  EXPECT_EQ(both->workflow_type, "T");
  EXPECT_EQ(both->status, 1);
}

TEST(Filter, EverythingElseIsAClearError) {
  for (const char* text : {"WorkflowId",
                           "WorkflowId = ",
                           "WorkflowId = 'a",
                           "NoSuchField = 'x'",
                           "WorkflowId = 'a' ORDER BY StartTime",
                           "WorkflowId = 'a' LIMIT 3",
                           "ExecutionStatus = 'Sleeping'",
                           "ExecutionStatus = 9",
                           "ExecutionStatus = '1'",
                           "ExecutionStatus = true",
                           "StartTime > 'yesterday'",
                           "WorkflowId LIKE 'a%'",
                           "lower(WorkflowId) = 'a'",
                           "WorkflowId = 'a' AND",
                           "WorkflowId > 5",
                           "WorkflowId = 5",
                           "WorkflowId != 'a'",
                           "WorkflowId = 'a' OR WorkflowId = 'b'",
                           "WorkflowId = 'a' AND WorkflowId = 'b'",
                           "NOT WorkflowId = 'a'",
                           "(WorkflowId = 'a'",
                           "WorkflowId = 'a')",
                           "workflowid = 'a'",
                           "WORKFLOWID = 'a'",
                           "'WorkflowId' = 'a'",
                           "WorkflowId = b",
                           "\x01\xff",
                           "= 'a'",
                           "AND",
                           "WorkflowId IN ('a')"}) {
    const auto filter = parse_filter(text);
    ASSERT_FALSE(filter.has_value()) << text;
    EXPECT_EQ(filter.error().code, base::Code::kInvalidArgument);
    EXPECT_EQ(filter.error().message.find("invalid query: "), 0u) << filter.error().message;
  }
  EXPECT_FALSE(parse_filter(std::string(100'000, '(')).has_value());
}

}  // namespace
}  // namespace perdure::visibility
