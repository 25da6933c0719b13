#include "services/cli/bench/answer_chunk.h"

#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

TEST(ReadAnswerChunkTest, Content) {
  for (const char* data :
       {R"({"choices":[{"text":"a"}]})", R"({"choices":[{"delta":{"content":"a"}}],"usage":null})",
        R"({"choices":[{"delta":{"content":null,"reasoning_content":"a"}}]})"}) {
    const AnswerChunk chunk = ReadAnswerChunk(data);
    EXPECT_TRUE(chunk.valid) << data;
    EXPECT_TRUE(chunk.content) << data;
    EXPECT_EQ(chunk.output_tokens, -1) << data;
  }
}

TEST(ReadAnswerChunkTest, NoContent) {
  for (const char* data :
       {R"({"choices":[{"text":"","finish_reason":"length"}]})",
        R"({"choices":[{"delta":{"role":"assistant","content":""}}]})", R"({"choices":[]})",
        R"({"choices":[1,null,{"delta":"x"}]})", R"({"choices":{}})", "{}"}) {
    const AnswerChunk chunk = ReadAnswerChunk(data);
    EXPECT_TRUE(chunk.valid) << data;
    EXPECT_FALSE(chunk.content) << data;
    EXPECT_EQ(chunk.error, "") << data;
  }
}

TEST(ReadAnswerChunkTest, Usage) {
  const AnswerChunk chunk =
      ReadAnswerChunk(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,)"
                      R"("prompt_tokens_details":{"cached_tokens":2}}})");
  EXPECT_EQ(chunk.prompt_tokens, 7);
  EXPECT_EQ(chunk.output_tokens, 3);
  EXPECT_EQ(chunk.cached_tokens, 2);
  EXPECT_EQ(ReadAnswerChunk(R"({"usage":{"prompt_tokens":"7"}})").prompt_tokens, -1);
}

TEST(ReadAnswerChunkTest, Errors) {
  EXPECT_EQ(ReadAnswerChunk(R"({"error":{"message":"busy"}})").error, "busy");
  EXPECT_EQ(ReadAnswerChunk(R"({"error":"busy"})").error, "an error without a message");
  for (const char* data : {"", "x", "[]", "3", "{\"choices\":", "\xff"}) {
    EXPECT_FALSE(ReadAnswerChunk(data).valid) << data;
  }
}

}  // namespace
}  // namespace moesaic::services
