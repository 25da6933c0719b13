#include "kernels/packed_matrix.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/device_memory.h"
#include "base/dtype.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "kernels/int8.h"

namespace moesaic::kernels {
namespace {

using base::DType;

/// A checked WeightSource; (n, k) are coordinates of what it contributes.
struct Source {
  const std::uint8_t* data;
  DType dtype;
  const std::uint8_t* scale;  // nullptr unless fp8
  DType scale_dtype;
  std::int64_t columns;
  std::int64_t row_begin;
  bool transposed;
  std::int64_t n;
  std::int64_t k;
  std::int64_t n_begin;  // first output of the packed matrix

  std::int64_t Row(std::int64_t n, std::int64_t k) const {
    return row_begin + (transposed ? k : n);
  }
  std::int64_t Column(std::int64_t n, std::int64_t k) const { return transposed ? n : k; }
  const std::uint8_t* At(std::int64_t n, std::int64_t k) const {
    return data + (Row(n, k) * columns + Column(n, k)) * base::DTypeBytes(dtype);
  }
  /// Elements from (n, k) to (n, k + 1).
  std::int64_t KStep() const { return transposed ? columns : 1; }
};

template <class T>
T LoadUnaligned(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

float LoadFloat(const std::uint8_t* p, DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return LoadUnaligned<float>(p);
    case DType::kBF16:
      return base::BF16ToF32(LoadUnaligned<std::uint16_t>(p));
    case DType::kF16:
      return base::F16ToF32(LoadUnaligned<std::uint16_t>(p));
    default:
      return base::F8E4M3ToF32(*p);
  }
}

/// The fp8 scale of (n, k), 1 for other types.
float ScaleAt(const Source& source, std::int64_t n, std::int64_t k) {
  if (source.scale == nullptr) return 1.0f;
  constexpr std::int64_t kBlock = PackedMatrix::kScaleBlock;
  const std::int64_t scale_columns = (source.columns + kBlock - 1) / kBlock;
  const std::int64_t index =
      source.Row(n, k) / kBlock * scale_columns + source.Column(n, k) / kBlock;
  return LoadFloat(source.scale + index * base::DTypeBytes(source.scale_dtype), source.scale_dtype);
}

void Store(float value, float* out) { *out = value; }
void Store(float value, std::uint16_t* out) { *out = base::F32ToBF16(value); }

/// Writes inputs [k_begin, k_end) of output n to out[0], out[kStep], …; they lie in one scale
/// block. The source type is a template parameter so that the loop has no branch.
template <DType kSource, std::int64_t kStep, class T>
void PackLaneAs(const Source& source, std::int64_t n, std::int64_t k_begin, std::int64_t k_end,
                T* out) {
  const float scale = ScaleAt(source, n, k_begin);
  const std::uint8_t* p = source.At(n, k_begin);
  const std::int64_t step = source.KStep() * base::DTypeBytes(kSource);
  for (std::int64_t k = k_begin; k < k_end; ++k, p += step, out += kStep) {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      *out = *p;
    } else if constexpr (kSource == DType::kF8E4M3) {
      Store(LoadFloat(p, kSource) * scale, out);
    } else {
      Store(LoadFloat(p, kSource), out);
    }
  }
}

template <std::int64_t kStep, class T>
void PackLane(const Source& source, std::int64_t n, std::int64_t k_begin, std::int64_t k_end,
              T* out) {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    PackLaneAs<DType::kF8E4M3, kStep>(source, n, k_begin, k_end, out);
  } else {
    switch (source.dtype) {
      case DType::kF32:
        return PackLaneAs<DType::kF32, kStep>(source, n, k_begin, k_end, out);
      case DType::kBF16:
        return PackLaneAs<DType::kBF16, kStep>(source, n, k_begin, k_end, out);
      case DType::kF16:
        return PackLaneAs<DType::kF16, kStep>(source, n, k_begin, k_end, out);
      default:
        return PackLaneAs<DType::kF8E4M3, kStep>(source, n, k_begin, k_end, out);
    }
  }
}

const Source& SourceOf(const std::vector<Source>& sources, std::int64_t output) {
  return *std::prev(
      std::upper_bound(sources.begin(), sources.end(), output,
                       [](std::int64_t value, const Source& s) { return value < s.n_begin; }));
}

/// Fills one panel [k][16]; lanes beyond n stay zero. Blocks of k keep the panel's lines in cache
/// while its 16 lanes are written.
template <class T>
void PackPanel(const std::vector<Source>& sources, std::int64_t panel, std::int64_t n,
               std::int64_t k, T* out, float* scales) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  constexpr std::int64_t kBlock = PackedMatrix::kScaleBlock;
  const std::int64_t lanes = std::min(kPanel, n - panel * kPanel);
  for (std::int64_t k_begin = 0; k_begin < k; k_begin += kBlock) {
    const std::int64_t k_end = std::min(k, k_begin + kBlock);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t output = panel * kPanel + lane;
      const Source& source = SourceOf(sources, output);
      const std::int64_t local = output - source.n_begin;
      PackLane<kPanel>(source, local, k_begin, k_end, out + k_begin * kPanel + lane);
      if (scales != nullptr) {
        scales[k_begin / kBlock * kPanel + lane] = ScaleAt(source, local, k_begin);
      }
    }
  }
}

/// Fills one panel [ceil(k/4)][16][4] of bytes and its scales. False if an element is not finite.
bool QuantizePanel(const std::vector<Source>& sources, std::int64_t panel, std::int64_t n,
                   std::int64_t k, std::uint8_t* out, float* scales) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const std::int64_t lanes = std::min(kPanel, n - panel * kPanel);
  bool finite = true;
  for (std::int64_t k_begin = 0; k_begin < k; k_begin += kInt8Group) {
    const std::int64_t count = std::min(kInt8Group, k - k_begin);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t output = panel * kPanel + lane;
      const Source& source = SourceOf(sources, output);
      float values[kInt8Group];
      PackLane<1>(source, output - source.n_begin, k_begin, k_begin + count, values);
      std::int8_t quantized[kInt8Group] = {};
      const float scale = QuantizeInt8(values, count, quantized);
      finite = finite && !std::isnan(scale);
      scales[k_begin / kInt8Group * kPanel + lane] = scale;
      // Four inputs lie side by side. Adding 128 to a signed byte flips its first bit.
      static_assert(int8::kWeightOffset == 128);
      std::uint8_t* to = out + k_begin * kPanel + lane * 4;
      for (std::int64_t i = 0; i < count; i += 4, to += kPanel * 4) {
        const auto four =
            LoadUnaligned<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(quantized + i));
        const std::uint32_t stored = four ^ 0x80808080u;
        std::memcpy(to, &stored, sizeof(stored));
      }
    }
  }
  return finite;
}

void ForEachPanel(std::int64_t panels, base::ComputePool* pool,
                  absl::FunctionRef<void(std::int64_t)> use) {
  if (pool != nullptr) return pool->ParallelFor(panels, use);
  for (std::int64_t panel = 0; panel < panels; ++panel) use(panel);
}

/// The upper bytes most frequent in some panels, evenly spaced.
bf16_code::UpperBytes SampleUpperBytes(const std::vector<Source>& sources, std::int64_t n,
                                       std::int64_t k) {
  constexpr std::int64_t kSamples = 16;
  const std::int64_t panels = n / PackedMatrix::kPanel;
  const std::int64_t samples = std::min(kSamples, panels);
  std::vector<std::uint16_t> plain(k * PackedMatrix::kPanel);
  std::array<std::int64_t, 256> counts = {};
  for (std::int64_t i = 0; i < samples; ++i) {
    PackPanel(sources, i * panels / samples, n, k, plain.data(), nullptr);
    for (const std::uint16_t weight : plain) ++counts[weight >> 8];
  }
  return bf16_code::MostFrequent(counts);
}

/// Fills the parts of a coded matrix. False where some panel has too many exceptions.
bool PackCoded(const std::vector<Source>& sources, std::int64_t n, std::int64_t k,
               std::uint8_t* records, std::uint8_t* side, base::ComputePool* pool) {
  const bf16_code::UpperBytes upper_bytes = SampleUpperBytes(sources, n, k);
  const bf16_code::Numbers numbers = bf16_code::NumbersOf(upper_bytes);
  std::copy(upper_bytes.begin(), upper_bytes.end(), side);
  auto* const exceptions = reinterpret_cast<bf16_code::Exception*>(side + upper_bytes.size());
  const std::int64_t panel_bytes = k / bf16_code::kRecordInputs * bf16_code::kRecordBytes;
  std::atomic<bool> fits{true};
  ForEachPanel(n / PackedMatrix::kPanel, pool, [&](std::int64_t panel) {
    if (!fits.load(std::memory_order_relaxed)) return;
    std::vector<std::uint16_t> plain(k * PackedMatrix::kPanel);
    PackPanel(sources, panel, n, k, plain.data(), nullptr);
    if (!bf16_code::EncodePanel(plain.data(), k, upper_bytes, numbers,
                                records + panel * panel_bytes,
                                exceptions + panel * bf16_code::ExceptionsOf(k))) {
      fits.store(false, std::memory_order_relaxed);
    }
  });
  return fits.load(std::memory_order_relaxed);
}

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("pack: ", what));
}

absl::StatusOr<base::Buffer> MoveTo(base::Device device, base::Buffer host) {
  MOESAIC_ASSIGN_OR_RETURN(base::Buffer moved, base::Buffer::Allocate(host.bytes(), device));
  if (host.bytes() > 0) {
    MOESAIC_RETURN_IF_ERROR(
        base::CudaMemory()->CopyFromHost(moved.data(), host.data(), host.bytes(), device.index));
  }
  return moved;
}

absl::Status CheckScale(const WeightSource& source, std::int64_t rows, std::int64_t columns) {
  if (!source.scale.has_value()) return Invalid("fp8 weight without its scale");
  constexpr std::int64_t kBlock = PackedMatrix::kScaleBlock;
  const base::TensorView& scale = *source.scale;
  if (scale.dtype != DType::kF32 && scale.dtype != DType::kBF16) {
    return Invalid(absl::StrCat("scale cannot be ", base::ToAbsl(base::DTypeName(scale.dtype))));
  }
  if (scale.rank != 2 || scale.dim(0) != (rows + kBlock - 1) / kBlock ||
      scale.dim(1) != (columns + kBlock - 1) / kBlock) {
    return Invalid(absl::StrCat("scale has not one value per 128 x 128 block of a [", rows, ", ",
                                columns, "] weight"));
  }
  if (source.transposed && source.row_begin % kBlock != 0) {
    return Invalid("a transposed fp8 weight starts inside a scale block");
  }
  return absl::OkStatus();
}

absl::StatusOr<Source> Check(const WeightSource& source, DType storage) {
  const base::TensorView& weight = source.weight;
  if (weight.rank != 2) return Invalid("weight is not a matrix");
  const bool fp8 = weight.dtype == DType::kF8E4M3;
  if (!fp8 && weight.dtype != DType::kF32 && weight.dtype != DType::kBF16 &&
      weight.dtype != DType::kF16) {
    return Invalid(absl::StrCat("weight cannot be ", base::ToAbsl(base::DTypeName(weight.dtype))));
  }
  if (storage == DType::kF8E4M3 && !fp8) return Invalid("fp8 storage needs an fp8 weight");
  if (weight.device.kind != base::DeviceKind::kCpu) return Invalid("weight is not in host memory");
  if (fp8) MOESAIC_RETURN_IF_ERROR(CheckScale(source, weight.dim(0), weight.dim(1)));
  const std::int64_t rows = source.rows < 0 ? weight.dim(0) - source.row_begin : source.rows;
  if (source.row_begin < 0 || rows < 0 || source.row_begin > weight.dim(0) - rows) {
    return Invalid(absl::StrCat("rows [", source.row_begin, ", ", source.row_begin + rows,
                                ") of a weight of ", weight.dim(0)));
  }
  Source checked = {};
  checked.data = weight.As<const std::uint8_t>();
  checked.dtype = weight.dtype;
  if (fp8) {
    checked.scale = source.scale->As<const std::uint8_t>();
    checked.scale_dtype = source.scale->dtype;
  }
  checked.columns = weight.dim(1);
  checked.row_begin = source.row_begin;
  checked.transposed = source.transposed;
  checked.n = source.transposed ? weight.dim(1) : rows;
  checked.k = source.transposed ? rows : weight.dim(1);
  return checked;
}

}  // namespace

std::array<std::size_t, 2> PackedMatrix::PartBytes(std::int64_t n, std::int64_t k, DType storage,
                                                   bool coded) {
  if (coded) return bf16_code::PartBytes(n, k);
  const auto rows = static_cast<std::size_t>((n + kPanel - 1) / kPanel * kPanel);
  const bool scaled = storage == DType::kF8E4M3 || storage == DType::kI8;
  const std::int64_t stored_k = storage == DType::kI8 ? (k + 3) / 4 * 4 : k;
  const std::int64_t scale_blocks = scaled ? (k + kScaleBlock - 1) / kScaleBlock : 0;
  return {rows * stored_k * base::DTypeBytes(storage), rows * scale_blocks * sizeof(float)};
}

std::size_t PackedMatrix::BytesOf(std::int64_t n, std::int64_t k, DType storage) {
  const auto [data, scales] = PartBytes(n, k, storage, /*coded=*/false);
  return data + scales;
}

absl::StatusOr<PackedMatrix> PackedMatrix::Allocate(std::int64_t n, std::int64_t k, DType storage,
                                                    bool coded) {
  if (storage != DType::kF32 && storage != DType::kBF16 && storage != DType::kF8E4M3 &&
      storage != DType::kI8) {
    return Invalid(absl::StrCat("storage cannot be ", base::ToAbsl(base::DTypeName(storage))));
  }
  if (coded && (storage != DType::kBF16 || !bf16_code::HasForm(n, k))) {
    return Invalid(absl::StrCat("[", n, ", ", k, "] of ", base::ToAbsl(base::DTypeName(storage)),
                                " has no coded form"));
  }
  PackedMatrix matrix;
  matrix.n_ = n;
  matrix.k_ = k;
  matrix.storage_ = storage;
  matrix.coded_ = coded;
  const auto [data_bytes, beside_bytes] = PartBytes(n, k, storage, coded);
  MOESAIC_ASSIGN_OR_RETURN(matrix.data_, base::Buffer::Allocate(data_bytes));
  MOESAIC_ASSIGN_OR_RETURN(matrix.beside_, base::Buffer::Allocate(beside_bytes));
  return matrix;
}

std::array<absl::Span<const std::byte>, 2> PackedMatrix::parts() const {
  return {absl::Span<const std::byte>(data_.As<std::byte>(), data_.bytes()),
          absl::Span<const std::byte>(beside_.As<std::byte>(), beside_.bytes())};
}

absl::StatusOr<PackedMatrix> PackedMatrix::Restore(std::int64_t n, std::int64_t k, DType storage,
                                                   bool coded,
                                                   absl::FunctionRef<absl::Status(Parts)> fill) {
  MOESAIC_ASSIGN_OR_RETURN(PackedMatrix matrix, Allocate(n, k, storage, coded));
  MOESAIC_RETURN_IF_ERROR(
      fill({absl::MakeSpan(matrix.data_.As<std::byte>(), matrix.data_.bytes()),
            absl::MakeSpan(matrix.beside_.As<std::byte>(), matrix.beside_.bytes())}));
  return matrix;
}

absl::StatusOr<PackedMatrix> PackedMatrix::Pack(absl::Span<const WeightSource> sources,
                                                DType storage, base::Device device,
                                                base::ComputePool* pool, Bf16Layout layout) {
  if (sources.empty()) return Invalid("no source");
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::vector<Source> checked;
  for (const WeightSource& source : sources) {
    MOESAIC_ASSIGN_OR_RETURN(Source s, Check(source, storage));
    if (!checked.empty() && s.k != k) return Invalid("sources differ in k");
    s.n_begin = n;
    n += s.n;
    k = s.k;
    if (s.n > 0) checked.push_back(s);
  }
  const bool on_host = device.kind == base::DeviceKind::kCpu;
  const bool code =
      layout == Bf16Layout::kCoded || (layout == Bf16Layout::kFaster && bf16_code::IsFaster());
  if (code && storage == DType::kBF16 && on_host && bf16_code::HasForm(n, k)) {
    MOESAIC_ASSIGN_OR_RETURN(PackedMatrix coded, Allocate(n, k, storage, /*coded=*/true));
    if (PackCoded(checked, n, k, coded.data_.As<std::uint8_t>(), coded.beside_.As<std::uint8_t>(),
                  pool)) {
      return coded;
    }
  }
  MOESAIC_ASSIGN_OR_RETURN(PackedMatrix matrix, Allocate(n, k, storage, /*coded=*/false));
  const std::int64_t panels = matrix.panels();
  const std::int64_t panel_elements = (storage == DType::kI8 ? (k + 3) / 4 * 4 : k) * kPanel;
  const std::int64_t panel_scales = matrix.scale_blocks() * kPanel;

  std::atomic<bool> finite{true};
  ForEachPanel(panels, pool, [&](std::int64_t panel) {
    const std::int64_t begin = panel * panel_elements;
    if (storage == DType::kF32) {
      PackPanel(checked, panel, n, k, matrix.data_.As<float>() + begin, nullptr);
    } else if (storage == DType::kBF16) {
      PackPanel(checked, panel, n, k, matrix.data_.As<std::uint16_t>() + begin, nullptr);
    } else {
      std::uint8_t* const data = matrix.data_.As<std::uint8_t>() + begin;
      float* const scales = matrix.beside_.As<float>() + panel * panel_scales;
      if (storage == DType::kF8E4M3) {
        PackPanel(checked, panel, n, k, data, scales);
      } else if (!QuantizePanel(checked, panel, n, k, data, scales)) {
        finite.store(false, std::memory_order_relaxed);
      }
    }
  });
  if (!finite.load(std::memory_order_relaxed)) {
    return absl::DataLossError("pack: a weight that is not finite has no i8 form");
  }
  if (!on_host) {
    MOESAIC_ASSIGN_OR_RETURN(matrix.data_, MoveTo(device, std::move(matrix.data_)));
    MOESAIC_ASSIGN_OR_RETURN(matrix.beside_, MoveTo(device, std::move(matrix.beside_)));
  }
  return matrix;
}

}  // namespace moesaic::kernels
