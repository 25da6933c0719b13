#include "services/cli/answer_printer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

namespace moesaic::services {
namespace {

std::string Printed(AnswerPrinter::Options options,
                    const std::function<void(AnswerPrinter&)>& print) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = ::open_memstream(&text, &size);
  AnswerPrinter printer(out, options);
  print(printer);
  printer.End();
  std::fclose(out);
  std::string printed(text, size);
  std::free(text);
  return printed;
}

void ThinkAndAnswer(AnswerPrinter& printer) {
  for (const char* piece : {"\n", "First ", "this\n", "\nthen that.\n", "\n"}) {
    printer.PrintThinking(piece);
    printer.PrintAnswer("");
  }
  for (const char* piece : {"", "It is", " so."}) printer.PrintAnswer(piece);
}

TEST(AnswerPrinterTest, ABlankLineDividesThinkingAndAnswer) {
  EXPECT_EQ(Printed({}, ThinkAndAnswer), "First this\n\nthen that.\n\nIt is so.\n");
}

TEST(AnswerPrinterTest, ATerminalShowsTheThinkingFaint) {
  EXPECT_EQ(Printed({.dim_thinking = true}, ThinkAndAnswer),
            "\x1b[2mFirst this\n\nthen that.\x1b[0m\n\nIt is so.\n");
}

TEST(AnswerPrinterTest, ThinkingMayBeHidden) {
  EXPECT_EQ(Printed({.show_thinking = false, .dim_thinking = true}, ThinkAndAnswer), "It is so.\n");
}

TEST(AnswerPrinterTest, ATerminalIsLeftAsItWas) {
  EXPECT_EQ(Printed({.dim_thinking = true},
                    [](AnswerPrinter& printer) { printer.PrintThinking("cut off "); }),
            "\x1b[2mcut off\x1b[0m\n");
}

TEST(AnswerPrinterTest, WithoutThinkingThereIsNoBlankLine) {
  EXPECT_EQ(
      Printed({.dim_thinking = true}, [](AnswerPrinter& printer) { printer.PrintAnswer(" yes"); }),
      " yes\n");
}

}  // namespace
}  // namespace moesaic::services
