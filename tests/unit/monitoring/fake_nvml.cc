// A management library of two cards, of which the second tells little; gpu_metrics_test opens it
// where the driver's would be.

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetCount_v2(unsigned int* count) {
  *count = 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void** device) {
  static int cards[2];
  *device = &cards[index];
  cards[index] = static_cast<int>(index);
  return 0;
}
int nvmlDeviceGetUtilizationRates(void* device, unsigned int* gpu_and_memory) {
  if (*static_cast<int*>(device) == 1) return 3;  // not supported
  gpu_and_memory[0] = 75;
  gpu_and_memory[1] = 20;
  return 0;
}
int nvmlDeviceGetMemoryInfo(void*, unsigned long long* total_free_used) {
  total_free_used[0] = 1000;
  total_free_used[1] = 600;
  total_free_used[2] = 400;
  return 0;
}
int nvmlDeviceGetPowerUsage(void*, unsigned int* milliwatts) {
  *milliwatts = 250500;
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void*, unsigned long long* millijoules) {
  static unsigned long long energy = 0;
  *millijoules = energy += 2000;
  return 0;
}
int nvmlDeviceGetTemperature(void*, int, unsigned int* celsius) {
  *celsius = 61;
  return 0;
}
// nvmlDeviceGetTotalEccErrors is missing, as in an old driver.
}
