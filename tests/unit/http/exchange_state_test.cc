#include "http/exchange_state.h"

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

/// Writes down what an exchange asks of its connection.
class FakeOutput final : public ExchangeOutput {
 public:
  void SendResponse(Response response) override {
    log += "response:" + std::to_string(response.status) + " ";
  }
  void SendStreamHead(std::vector<Header>) override { log += "head "; }
  void SendStreamBytes(std::string bytes) override { log += bytes + " "; }
  void SendStreamEnd() override { log += "end "; }
  void Drop() override { log += "drop "; }

  std::string log;
};

class ExchangeStateTest : public testing::Test {
 protected:
  const std::shared_ptr<FakeOutput> output_ = std::make_shared<FakeOutput>();
  const std::shared_ptr<ExchangeState> state_ =
      std::make_shared<ExchangeState>(Request(), output_, /*max_stream_buffer_bytes=*/8);
  std::shared_ptr<Exchange> exchange_ = MakeExchange(state_);
};

TEST_F(ExchangeStateTest, AnswersOnce) {
  exchange_->Respond({.status = 201});
  exchange_->Respond({.status = 202});
  exchange_->StartStream({});
  exchange_ = nullptr;
  EXPECT_EQ(output_->log, "response:201 ");
}

TEST_F(ExchangeStateTest, DroppedUnansweredIs500) {
  exchange_ = nullptr;
  EXPECT_EQ(output_->log, "response:500 ");
}

TEST_F(ExchangeStateTest, StreamLeftOpenIsBrokenOff) {
  exchange_->StartStream({});
  exchange_ = nullptr;
  EXPECT_EQ(output_->log, "head drop ");
}

TEST_F(ExchangeStateTest, SlowClientIsDroppedWhenItsBufferIsFull) {
  exchange_->StartStream({});
  EXPECT_TRUE(exchange_->Write("12345"));
  EXPECT_FALSE(exchange_->Write("6789"));
  EXPECT_EQ(output_->log, "head 12345 drop ");
}

TEST_F(ExchangeStateTest, WrittenBytesMakeRoom) {
  exchange_->StartStream({});
  EXPECT_TRUE(exchange_->Write("12345"));
  state_->OnWritten(5);
  EXPECT_TRUE(exchange_->Write("12345678"));
  exchange_->FinishStream();
  EXPECT_EQ(output_->log, "head 12345 12345678 end ");
}

TEST_F(ExchangeStateTest, DisconnectIsToldOnce) {
  int gone = 0;
  exchange_->OnDisconnect([&] { ++gone; });
  state_->Close(/*complete=*/false);
  state_->Close(/*complete=*/false);
  EXPECT_EQ(gone, 1);
  exchange_->Respond({});
  EXPECT_FALSE(exchange_->Write("x"));
  EXPECT_EQ(output_->log, "");
}

TEST_F(ExchangeStateTest, DisconnectBeforeSomebodyListensIsToldAtOnce) {
  state_->Close(/*complete=*/false);
  bool gone = false;
  exchange_->OnDisconnect([&] { gone = true; });
  EXPECT_TRUE(gone);
}

TEST_F(ExchangeStateTest, CompleteAnswerIsNoDisconnect) {
  bool gone = false;
  exchange_->OnDisconnect([&] { gone = true; });
  exchange_->Respond({});
  state_->Close(/*complete=*/true);
  EXPECT_FALSE(gone);
}

}  // namespace
}  // namespace moesaic::http
