#pragma once

#include "monitoring/catalogue/metric_def.h"

namespace moesaic::monitoring::metrics {

// Every process.
inline constexpr GaugeDef kBuildInfo{{"moesaic_build_info",
                                      "Always 1; its labels say what is running.",
                                      {"version", "role", "numerics_id"}}};
inline constexpr GaugeDef kStartTimeSeconds{
    {"moesaic_start_time_seconds", "Unix time at which the process started."}};
inline constexpr CounterDef kProcessCpuSecondsTotal{
    {"moesaic_process_cpu_seconds_total", "Processor seconds used, all threads."}};
inline constexpr GaugeDef kProcessResidentBytes{
    {"moesaic_process_resident_bytes", "Resident memory."}};
inline constexpr GaugeDef kProcessThreads{{"moesaic_process_threads", "Threads."}};
inline constexpr GaugeDef kProcessOpenFiles{
    {"moesaic_process_open_files", "Open file descriptors."}};
inline constexpr CounterDef kNetworkReceivedBytesTotal{
    {"moesaic_network_received_bytes_total",
     "Bytes received by the network namespace of the process (the pod), loopback included."}};
inline constexpr CounterDef kNetworkSentBytesTotal{
    {"moesaic_network_sent_bytes_total", "Bytes sent by it."}};
inline constexpr GaugeDef kModelLoadSeconds{
    {"moesaic_model_load_seconds",
     "Seconds from the start of the process to its weights being loaded. 0 = not yet."}};
inline constexpr GaugeDef kDrainSeconds{
    {"moesaic_drain_seconds", "Seconds since the process began to drain. 0 = it does not."}};
inline constexpr GaugeDef kCertificateExpirySeconds{
    {"moesaic_certificate_expiry_seconds",
     "Unix time at which the TLS certificate in use ends. No series without TLS."}};
inline constexpr CounterDef kTracesTotal{
    {"moesaic_traces_total", "Request timelines kept for /debug/trace."}};

// Graphics cards; no series without a card.
inline constexpr GaugeDef kGpuUtilizationRatio{
    {"moesaic_gpu_utilization_ratio",
     "Share of the last sampling period in which a kernel ran, 0 to 1.",
     {"gpu"}}};
inline constexpr GaugeDef kGpuMemoryUsedBytes{
    {"moesaic_gpu_memory_used_bytes", "Device memory in use, by whomever.", {"gpu"}}};
inline constexpr GaugeDef kGpuMemoryTotalBytes{
    {"moesaic_gpu_memory_total_bytes", "Device memory.", {"gpu"}}};
inline constexpr GaugeDef kGpuPowerWatts{{"moesaic_gpu_power_watts", "Power drawn now.", {"gpu"}}};
inline constexpr CounterDef kGpuEnergyJoulesTotal{
    {"moesaic_gpu_energy_joules_total", "Energy used since the driver was loaded.", {"gpu"}}};
inline constexpr GaugeDef kGpuTemperatureCelsius{
    {"moesaic_gpu_temperature_celsius", "Temperature of the chip.", {"gpu"}}};
inline constexpr CounterDef kGpuEccErrorsTotal{
    {"moesaic_gpu_ecc_errors_total",
     "Uncorrected memory errors since the driver was loaded.",
     {"gpu"}}};

}  // namespace moesaic::monitoring::metrics
