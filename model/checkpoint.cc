#include "model/checkpoint.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/json_reader.h"

namespace moesaic::model {
namespace {

using base::DType;
using base::TensorView;
using base::ToAbsl;

// Config files are a few kilobytes; the index of the largest published model is about 9 MB.
constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxIndexBytes = std::size_t{256} << 20;
constexpr std::string_view kScaleSuffix = "_scale_inv";

std::string ShapeText(absl::Span<const std::int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::Span<const std::int64_t> Shape(const TensorView& tensor) {
  return {tensor.shape, static_cast<std::size_t>(tensor.rank)};
}

std::int64_t CeilDiv(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// weight_map of an index file: tensor name → file name beside the index.
absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::string& path) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMaxIndexBytes));
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json index, ParseJsonObject(text, path));
  const auto found = index.find("weight_map");
  if (found == index.end() || !found->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": weight_map: missing or no object"));
  }
  std::map<std::string, std::string> files;
  for (const auto& [name, value] : found->items()) {
    // A name with a folder in it could point outside the checkpoint.
    const std::string file = value.is_string() ? value.get<std::string>() : std::string();
    if (file.empty() || file.find('/') != std::string::npos || file == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": weight_map: '", name, "': must be the name of a file"));
    }
    files.emplace(name, file);
  }
  return files;
}

std::string FormatName(const std::optional<DType>& dtype) {
  return dtype ? std::string(base::DTypeName(*dtype)) : "unsupported";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& directory) {
  auto checkpoint = std::unique_ptr<Checkpoint>(new Checkpoint());
  checkpoint->directory_ = directory;
  const std::string config_path = absl::StrCat(directory, "/config.json");
  MOESAIC_ASSIGN_OR_RETURN(checkpoint->config_json_, base::ReadFile(config_path, kMaxConfigBytes));
  MOESAIC_ASSIGN_OR_RETURN(checkpoint->config_, ParseConfig(checkpoint->config_json_, config_path));

  const std::string generation_path = absl::StrCat(directory, "/generation_config.json");
  if (absl::StatusOr<std::string> text = base::ReadFile(generation_path, kMaxConfigBytes);
      text.ok()) {
    MOESAIC_ASSIGN_OR_RETURN(checkpoint->generation_config_,
                             ParseGenerationConfig(*text, generation_path));
  } else if (!absl::IsNotFound(text.status())) {
    return text.status();
  }
  MOESAIC_RETURN_IF_ERROR(checkpoint->OpenFiles());
  return checkpoint;
}

absl::Status Checkpoint::OpenFiles() {
  const std::string index_path = absl::StrCat(directory_, "/model.safetensors.index.json");
  if (access(index_path.c_str(), F_OK) == 0) return OpenIndexed(index_path);
  MOESAIC_ASSIGN_OR_RETURN(SafetensorsFile file,
                           SafetensorsFile::Open(absl::StrCat(directory_, "/model.safetensors")));
  files_.push_back(std::move(file));
  for (const TensorInfo& tensor : files_[0].tensors()) {
    locations_.emplace(tensor.name, Location{0, &tensor});
  }
  return absl::OkStatus();
}

absl::Status Checkpoint::OpenIndexed(const std::string& index_path) {
  using FileNames = std::map<std::string, std::string>;
  MOESAIC_ASSIGN_OR_RETURN(const FileNames file_of, ReadIndex(index_path));
  std::map<std::string, std::size_t> number_of;
  for (const auto& [tensor, file] : file_of) number_of.emplace(file, 0);
  for (auto& [file, number] : number_of) {
    number = files_.size();
    MOESAIC_ASSIGN_OR_RETURN(SafetensorsFile opened,
                             SafetensorsFile::Open(absl::StrCat(directory_, "/", file)));
    files_.push_back(std::move(opened));
  }
  for (const auto& [name, file] : file_of) {
    const std::size_t number = number_of.at(file);
    const TensorInfo* tensor = files_[number].Find(name);
    if (tensor == nullptr) {
      return absl::DataLossError(absl::StrCat(files_[number].path(), ": tensor '", name,
                                              "' is missing, which the index places there"));
    }
    locations_.emplace(name, Location{number, tensor});
  }
  return absl::OkStatus();
}

const std::vector<std::int64_t>& Checkpoint::eos_token_ids() const {
  return generation_config_.eos_token_ids.empty() ? config_.eos_token_ids
                                                  : generation_config_.eos_token_ids;
}

const Checkpoint::Location* Checkpoint::Locate(std::string_view name) const {
  const auto it = locations_.find(ToAbsl(name));
  return it == locations_.end() ? nullptr : &it->second;
}

absl::StatusOr<Weight> Checkpoint::Find(std::string_view name) const {
  const Location* location = Locate(name);
  if (location == nullptr) {
    return absl::NotFoundError(
        absl::StrCat(directory_, ": the checkpoint has no tensor '", ToAbsl(name), "'"));
  }
  Weight weight;
  MOESAIC_ASSIGN_OR_RETURN(weight.tensor, files_[location->file].View(*location->tensor));
  if (weight.tensor.dtype == DType::kF8E4M3) {
    MOESAIC_ASSIGN_OR_RETURN(weight.scale, FindScale(name, weight.tensor));
    weight.block_rows = config_.fp8->block_rows;
    weight.block_cols = config_.fp8->block_cols;
  }
  return weight;
}

absl::StatusOr<TensorView> Checkpoint::FindScale(std::string_view name,
                                                 const TensorView& tensor) const {
  const std::string scale_name = absl::StrCat(ToAbsl(name), ToAbsl(kScaleSuffix));
  const auto error = [&](const std::string& problem) {
    return absl::DataLossError(
        absl::StrCat(directory_, ": fp8 tensor '", ToAbsl(name), "': ", problem));
  };
  if (!config_.fp8) return error("config.json has no quantization_config");
  if (tensor.rank != 2) return error("is not a matrix");
  const Location* location = Locate(scale_name);
  if (location == nullptr) return error(absl::StrCat("its scale '", scale_name, "' is missing"));
  MOESAIC_ASSIGN_OR_RETURN(const TensorView scale, files_[location->file].View(*location->tensor));
  if (scale.dtype != DType::kF32 && scale.dtype != DType::kBF16) {
    return error("its scale is neither F32 nor BF16");
  }
  const std::int64_t expected[] = {CeilDiv(tensor.dim(0), config_.fp8->block_rows),
                                   CeilDiv(tensor.dim(1), config_.fp8->block_cols)};
  if (!std::ranges::equal(Shape(scale), expected)) {
    return error(absl::StrCat("its scale has shape ", ShapeText(Shape(scale)), " where ",
                              ShapeText(expected), " is expected"));
  }
  return scale;
}

absl::StatusOr<Weight> Checkpoint::Find(std::string_view name,
                                        std::initializer_list<std::int64_t> shape) const {
  MOESAIC_ASSIGN_OR_RETURN(Weight weight, Find(name));
  if (!std::ranges::equal(Shape(weight.tensor), shape)) {
    return absl::DataLossError(
        absl::StrCat(files_[Locate(name)->file].path(), ": tensor '", ToAbsl(name), "' has shape ",
                     ShapeText(Shape(weight.tensor)), " where the config asks for ",
                     ShapeText(absl::MakeConstSpan(shape.begin(), shape.size()))));
  }
  return weight;
}

std::string Checkpoint::WeightFormat() const {
  std::map<std::string, std::size_t> routed, all;
  for (const SafetensorsFile& file : files_) {
    for (const TensorInfo& tensor : file.tensors()) {
      all[FormatName(tensor.dtype)] += tensor.bytes();
      if (tensor.name.find(".experts.") != std::string::npos) {
        routed[FormatName(tensor.dtype)] += tensor.bytes();
      }
    }
  }
  const auto& counted = routed.empty() ? all : routed;
  const auto most =
      std::ranges::max_element(counted, {}, [](const auto& entry) { return entry.second; });
  if (most == counted.end()) return "none";
  if (most->first != base::DTypeName(DType::kF8E4M3) || !config_.fp8) return most->first;
  return absl::StrCat(most->first, "-", config_.fp8->block_rows, "x", config_.fp8->block_cols);
}

absl::StatusOr<LoadedWeight> Checkpoint::Load(const Weight& weight) const {
  LoadedWeight loaded;
  loaded.weight = weight;
  MOESAIC_ASSIGN_OR_RETURN(loaded.tensor, LoadTensor(loaded.weight.tensor));
  if (weight.scale) {
    MOESAIC_ASSIGN_OR_RETURN(loaded.scale, LoadTensor(*loaded.weight.scale));
  }
  return loaded;
}

absl::StatusOr<base::Buffer> Checkpoint::LoadTensor(TensorView& view) const {
  if (view.bytes() == 0) return base::Buffer();
  const auto file = std::ranges::find_if(
      files_, [&](const SafetensorsFile& candidate) { return candidate.Maps(view.data); });
  MOESAIC_CHECK(file != files_.end());
  MOESAIC_ASSIGN_OR_RETURN(base::Buffer buffer, base::Buffer::Allocate(view.bytes()));
  MOESAIC_RETURN_IF_ERROR(
      file->Read({static_cast<const std::byte*>(view.data), view.bytes()}, buffer.As<std::byte>()));
  view.data = buffer.data();
  return buffer;
}

void Checkpoint::ReleasePages(const Weight& weight) const {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto release = [page](const TensorView& tensor) {
    if (tensor.bytes() == 0) return;
    // Rounded outwards: a neighbour's page dropped too early is read from the file again. The
    // result is only advice, so a failure changes nothing.
    const auto begin = reinterpret_cast<std::uintptr_t>(tensor.data) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(tensor.data) + tensor.bytes();
    (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  };
  release(weight.tensor);
  if (weight.scale) release(*weight.scale);
}

}  // namespace moesaic::model
