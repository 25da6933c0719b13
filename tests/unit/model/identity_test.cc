#include "model/identity.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace moesaic::model {
namespace {

NumericsInputs Inputs() {
  return {.kernel_contract_version = 1,
          .device_class = "cpu",
          .weight_format = "fp8-128x128",
          .compute_dtype = base::DType::kBF16,
          .wire_dtype = base::DType::kBF16,
          .unit_size = 1};
}

TEST(IdentityTest, IsStable) {
  EXPECT_EQ(NumericsId(Inputs()), NumericsId(Inputs()));
  EXPECT_EQ(NumericsId(Inputs()).size(), 16u);
}

TEST(IdentityTest, EveryInputCounts) {
  std::set<std::string> ids = {NumericsId(Inputs())};
  NumericsInputs changed = Inputs();
  changed.kernel_contract_version = 2;
  ids.insert(NumericsId(changed));
  changed = Inputs();
  changed.device_class = "cuda";
  ids.insert(NumericsId(changed));
  changed = Inputs();
  changed.weight_format = "bf16";
  ids.insert(NumericsId(changed));
  changed = Inputs();
  changed.compute_dtype = base::DType::kF32;
  ids.insert(NumericsId(changed));
  changed = Inputs();
  changed.wire_dtype = base::DType::kF32;
  ids.insert(NumericsId(changed));
  changed = Inputs();
  changed.weight_dtype = base::DType::kI8;
  ids.insert(NumericsId(changed));
  changed = Inputs();
  changed.unit_size = 4;
  ids.insert(NumericsId(changed));
  EXPECT_EQ(ids.size(), 8u);
}

}  // namespace
}  // namespace moesaic::model
