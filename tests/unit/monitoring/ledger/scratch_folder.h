#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace moesaic::monitoring {

/// An empty folder for one test.
class ScratchFolder {
 public:
  ScratchFolder() : path_(::testing::TempDir() + "/moesaic_ledger_XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  std::string Path(const std::string& name = "") const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace moesaic::monitoring
