#include "placement/view/topology.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/moesaic/v1/expert_shard.pb.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;

v1::ExpertTopology Valid() {
  v1::ExpertTopology proto;
  proto.add_moe_layers(1);
  proto.add_moe_layers(2);
  proto.add_moe_layers(5);
  proto.set_experts_per_layer(10);
  proto.set_unit_size(4);
  proto.set_unit_bytes(1000);
  return proto;
}

TEST(ExpertTopology, NumbersUnitsLayerByLayer) {
  const auto topology = TopologyFromProto(Valid());
  ASSERT_TRUE(topology.ok()) << topology.status();
  EXPECT_EQ(topology->units_per_layer(), 3u);  // the last one holds two experts
  EXPECT_EQ(topology->units_total(), 9u);
  EXPECT_EQ(topology->UnitOf(base::ExpertId(7)), base::UnitId(1));
  EXPECT_EQ(topology->LayerIndex(base::LayerId(5)), 2u);
  EXPECT_EQ(topology->LayerIndex(base::LayerId(3)), std::nullopt);
  for (std::uint32_t number = 0; number < 9; ++number) {
    EXPECT_EQ(topology->NumberOf(topology->KeyOf(number)), number);
  }
  EXPECT_EQ(topology->KeyOf(7), (UnitKey{base::LayerId(5), base::UnitId(1)}));
  EXPECT_EQ(TopologyToProto(*topology).SerializeAsString(), Valid().SerializeAsString());
}

TEST(ExpertTopology, RefusesWhatCannotBe) {
  const auto error = [](auto change) {
    v1::ExpertTopology proto = Valid();
    change(proto);
    return std::string(TopologyFromProto(proto).status().message());
  };
  EXPECT_THAT(error([](auto& p) { p.clear_moe_layers(); }), HasSubstr("moe_layers"));
  EXPECT_THAT(error([](auto& p) { p.add_moe_layers(5); }), HasSubstr("not ascending at 5"));
  EXPECT_THAT(error([](auto& p) { p.set_experts_per_layer(0); }), HasSubstr("experts_per_layer 0"));
  EXPECT_THAT(error([](auto& p) { p.set_experts_per_layer(1 << 20); }),
              HasSubstr("experts_per_layer"));
  EXPECT_THAT(error([](auto& p) { p.set_unit_size(0); }), HasSubstr("unit_size 0"));
  EXPECT_THAT(error([](auto& p) { p.set_unit_size(11); }), HasSubstr("unit_size 11"));
  EXPECT_THAT(error([](auto& p) { p.set_unit_bytes(0); }), HasSubstr("unit_bytes"));
  EXPECT_THAT(error([](auto& p) { p.set_unit_bytes(~0ull); }), HasSubstr("too many"));
}

TEST(UnitsFromProto, KeepsTheOrderAndChecks) {
  const ExpertTopology topology = *TopologyFromProto(Valid());
  v1::LoadUnitsRequest request;
  request.add_units()->set_layer(2);
  request.mutable_units(0)->add_units(2);
  request.mutable_units(0)->add_units(0);
  request.add_units()->set_layer(1);
  request.mutable_units(1)->add_units(1);
  request.mutable_units(1)->add_units(1);
  const auto units = UnitsFromProto(request.units(), topology);
  ASSERT_TRUE(units.ok());
  EXPECT_EQ(*units, (std::vector<UnitKey>{{base::LayerId(2), base::UnitId(2)},
                                          {base::LayerId(2), base::UnitId(0)},
                                          {base::LayerId(1), base::UnitId(1)}}));
  v1::LoadUnitsRequest again;
  UnitsToProto(*units, *again.mutable_units());
  EXPECT_EQ(*UnitsFromProto(again.units(), topology), *units);

  request.mutable_units(0)->add_units(3);
  EXPECT_THAT(UnitsFromProto(request.units(), topology).status().message(),
              HasSubstr("layer 2 has 3 units; got unit 3"));
  request.mutable_units(0)->set_layer(4);
  EXPECT_THAT(UnitsFromProto(request.units(), topology).status().message(),
              HasSubstr("layer 4 has no routed experts"));
}

}  // namespace
}  // namespace moesaic::placement
