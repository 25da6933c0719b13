#include "placement/view/placement_map.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_fixture.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(PlacementMap, FindsHoldersAndShards) {
  PlacementMap::Parts parts = TestParts({1, 2});
  parts.holders[5].clear();
  const auto map = *PlacementMap::Build(parts);
  EXPECT_THAT(map->Holders(base::LayerId(1), base::UnitId(0)),
              ElementsAre(base::ShardId(0), base::ShardId(4)));
  EXPECT_THAT(map->Holders(base::LayerId(3), base::UnitId(0)), ElementsAre(base::ShardId(0)));
  EXPECT_THAT(map->Holders(base::LayerId(3), base::UnitId(2)), IsEmpty());
  EXPECT_THAT(map->Holders(base::LayerId(3), base::UnitId(3)), IsEmpty());
  EXPECT_THAT(map->Holders(base::LayerId(2), base::UnitId(0)), IsEmpty());
  EXPECT_EQ(map->units_uncovered(), 1u);
  ASSERT_NE(map->FindShard(base::ShardId(4)), nullptr);
  EXPECT_EQ(map->FindShard(base::ShardId(4))->name, "b");
  EXPECT_EQ(map->FindShard(base::ShardId(1)), nullptr);
}

TEST(PlacementMap, SurvivesTheWire) {
  const auto map = TestMap({3, 4});
  const auto again = PlacementMap::FromProto(map->ToProto());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->epoch(), (base::PlacementEpoch{3, 4}));
  EXPECT_EQ((*again)->ToProto().SerializeAsString(), map->ToProto().SerializeAsString());
  EXPECT_TRUE((*again)->SameContent(TestParts({9, 9})));
  PlacementMap::Parts other = TestParts({3, 4});
  other.holders[1].clear();
  EXPECT_FALSE((*again)->SameContent(other));
}

TEST(PlacementMap, RefusesContradictions) {
  const auto error = [](auto change) {
    v1::Placement proto = TestMap({1, 1})->ToProto();
    change(proto);
    const auto map = PlacementMap::FromProto(proto);
    EXPECT_EQ(map.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(map.status().message());
  };
  EXPECT_THAT(error([](auto& p) { p.mutable_units(2)->add_shard_ids(7); }),
              HasSubstr("unit 2 is held by unknown shard 7"));
  EXPECT_THAT(error([](auto& p) { p.mutable_units(2)->add_shard_ids(0); }),
              HasSubstr("not ascending"));
  EXPECT_THAT(error([](auto& p) { p.mutable_units()->RemoveLast(); }),
              HasSubstr("lists 5 units; the model has 6"));
  EXPECT_THAT(error([](auto& p) { *p.mutable_units(1) = p.units(0); }),
              HasSubstr("duplicate or out of order"));
  EXPECT_THAT(error([](auto& p) { p.mutable_units(1)->mutable_unit()->set_layer(99); }),
              HasSubstr("layer 99"));
  EXPECT_THAT(error([](auto& p) { p.mutable_shards(0)->set_node_share(1.5); }),
              HasSubstr("node_share 1.5"));
  EXPECT_THAT(error([](auto& p) { p.mutable_shards(0)->set_capacity_type("free"); }),
              HasSubstr("capacity_type 'free'"));
  EXPECT_THAT(error([](auto& p) { p.mutable_shards()->SwapElements(0, 1); }),
              HasSubstr("shard ids not ascending"));
  EXPECT_THAT(error([](auto& p) { p.mutable_shards(1)->set_shard_id(0); }),
              HasSubstr("shard ids not ascending"));
  EXPECT_THAT(error([](auto& p) { p.mutable_shards(1)->clear_address(); }),
              HasSubstr("lacks a name or an address"));
  EXPECT_THAT(error([](auto& p) { p.clear_topology(); }), HasSubstr("topology"));
}

}  // namespace
}  // namespace moesaic::placement
