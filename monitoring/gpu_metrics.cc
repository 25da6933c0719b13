#include "monitoring/gpu_metrics.h"

#include <dlfcn.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/log.h"
#include "monitoring/raise_to.h"

namespace moesaic::monitoring {
namespace {

// The part of nvml.h used here; that header is not in the toolkit. Layouts and numbers as in NVML's
// API reference, "Device Queries"; they are kept stable by NVIDIA.
using NvmlReturn = int;  // 0 = success
using NvmlDevice = void*;
struct NvmlUtilization {
  unsigned int gpu;  // percent
  unsigned int memory;
};
struct NvmlMemory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
constexpr int kTemperatureGpu = 0;
constexpr int kMemoryErrorUncorrected = 1;
constexpr int kVolatileEcc = 0;

}  // namespace

struct GpuMetrics::Functions {
  NvmlReturn (*init)() = nullptr;
  NvmlReturn (*shutdown)() = nullptr;
  NvmlReturn (*count)(unsigned int*) = nullptr;
  NvmlReturn (*by_index)(unsigned int, NvmlDevice*) = nullptr;
  // Any of these may be missing in an old library.
  NvmlReturn (*utilization)(NvmlDevice, NvmlUtilization*) = nullptr;
  NvmlReturn (*memory)(NvmlDevice, NvmlMemory*) = nullptr;
  NvmlReturn (*power_mw)(NvmlDevice, unsigned int*) = nullptr;
  NvmlReturn (*energy_mj)(NvmlDevice, unsigned long long*) = nullptr;
  NvmlReturn (*temperature)(NvmlDevice, int, unsigned int*) = nullptr;
  NvmlReturn (*ecc_errors)(NvmlDevice, int, int, unsigned long long*) = nullptr;

  void Load(void* library) {
    const auto find = [library](const char* name, auto& function) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(::dlsym(library, name));
    };
    find("nvmlInit_v2", init);
    find("nvmlShutdown", shutdown);
    find("nvmlDeviceGetCount_v2", count);
    find("nvmlDeviceGetHandleByIndex_v2", by_index);
    find("nvmlDeviceGetUtilizationRates", utilization);
    find("nvmlDeviceGetMemoryInfo", memory);
    find("nvmlDeviceGetPowerUsage", power_mw);
    find("nvmlDeviceGetTotalEnergyConsumption", energy_mj);
    find("nvmlDeviceGetTemperature", temperature);
    find("nvmlDeviceGetTotalEccErrors", ecc_errors);
  }
  bool usable() const {
    return init != nullptr && shutdown != nullptr && count != nullptr && by_index != nullptr;
  }
};

GpuMetrics::GpuMetrics(const std::string& library) {
  library_ = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) return;
  auto functions = std::make_unique<Functions>();
  functions->Load(library_);
  if (!functions->usable()) {
    base::LogWarning(library, " is no NVML: graphics cards are not measured");
    return;
  }
  unsigned int cards = 0;
  if (const NvmlReturn code = functions->init(); code != 0) {
    base::LogWarning("NVML does not start, code ", code, ": graphics cards are not measured");
    return;
  }
  functions_ = std::move(functions);
  if (functions_->count(&cards) == 0) count_ = static_cast<int>(cards);
}

GpuMetrics::~GpuMetrics() {
  if (functions_ != nullptr) functions_->shutdown();
  if (library_ != nullptr) ::dlclose(library_);
}

void GpuMetrics::Refresh(Registry& registry) {
  base::MutexLock lock(mutex_);
  for (int index = 0; index < count_; ++index) RefreshCard(registry, index);
}

void GpuMetrics::RefreshCard(Registry& registry, int index) {
  const Functions& nvml = *functions_;
  NvmlDevice device = nullptr;
  if (nvml.by_index(static_cast<unsigned int>(index), &device) != 0) return;
  const std::string gpu = std::to_string(index);
  if (NvmlUtilization value; nvml.utilization && nvml.utilization(device, &value) == 0) {
    registry.Get(metrics::kGpuUtilizationRatio, {gpu}).Set(0.01 * value.gpu);
  }
  if (NvmlMemory value; nvml.memory && nvml.memory(device, &value) == 0) {
    registry.Get(metrics::kGpuMemoryUsedBytes, {gpu}).Set(static_cast<double>(value.used));
    registry.Get(metrics::kGpuMemoryTotalBytes, {gpu}).Set(static_cast<double>(value.total));
  }
  if (unsigned int value; nvml.power_mw && nvml.power_mw(device, &value) == 0) {
    registry.Get(metrics::kGpuPowerWatts, {gpu}).Set(1e-3 * value);
  }
  if (unsigned long long value; nvml.energy_mj && nvml.energy_mj(device, &value) == 0) {
    RaiseTo(1e-3 * static_cast<double>(value), registry.Get(metrics::kGpuEnergyJoulesTotal, {gpu}));
  }
  if (unsigned int value;
      nvml.temperature && nvml.temperature(device, kTemperatureGpu, &value) == 0) {
    registry.Get(metrics::kGpuTemperatureCelsius, {gpu}).Set(value);
  }
  if (unsigned long long value; nvml.ecc_errors && nvml.ecc_errors(device, kMemoryErrorUncorrected,
                                                                   kVolatileEcc, &value) == 0) {
    RaiseTo(static_cast<double>(value), registry.Get(metrics::kGpuEccErrorsTotal, {gpu}));
  }
}

}  // namespace moesaic::monitoring
