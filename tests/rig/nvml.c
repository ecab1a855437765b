// Copyright: inferops.gpu contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A stand-in for NVIDIA's libnvidia-ml.so.1. It knows the calls that the collection makes, with
// the layouts of nvml.h in C's own words: what reads it is thereby checked against a compiler.
//
// Three GPUs. 0 tells everything; 1 supports little; 2 is lost. NVML_STANDIN_INIT makes nvmlInit_v2
// fail with that code. NVML_STANDIN_MIG divides GPU 0.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NO_PERMISSION = 4, NOT_FOUND = 6, NOT_LOADED = 9, LOST = 15, MISMATCH = 18 };
enum { NOT_SUPPORTED = 3, MIB = 1024 * 1024 };

typedef struct { int index; int part; } *nvmlDevice_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_v2_t;
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
    unsigned long long usedGpuCcProtectedMemory;
} nvmlProcessInfo_of_535_43_t;
typedef struct {
    char busIdLegacy[16];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

static struct { int index; int part; } devices[] = {{0, 0}, {1, 0}, {2, 0}, {0, 1}};

static int text(char *out, unsigned int size, const char *said) {
    snprintf(out, size, "%s", said);
    return OK;
}

int nvmlInit_v2(void) { return atoi(getenv("NVML_STANDIN_INIT") ? getenv("NVML_STANDIN_INIT") : "0"); }
int nvmlShutdown(void) { return OK; }

const char *nvmlErrorString(int code) {
    switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_LOADED: return "Driver Not Loaded";
    case LOST: return "GPU is lost";
    case MISMATCH: return "RM has detected an NVML/RM version mismatch.";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *out, unsigned int size) { return text(out, size, "535.43.02"); }
int nvmlSystemGetCudaDriverVersion(int *out) { *out = 12000; return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 12020; return OK; }
int nvmlDeviceGetCount_v2(unsigned int *out) { *out = 3; return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *out) {
    if (index == 2) return LOST;
    *out = (nvmlDevice_t)&devices[index];
    return OK;
}

int nvmlDeviceGetName(nvmlDevice_t gpu, char *out, unsigned int size) {
    return text(out, size, gpu->part ? "NVIDIA H100 MIG 1g.10gb" : "NVIDIA H100 80GB HBM3");
}

int nvmlDeviceGetUUID(nvmlDevice_t gpu, char *out, unsigned int size) {
    char said[32];
    snprintf(said, sizeof said, "%s-%d", gpu->part ? "MIG" : "GPU", gpu->index);
    return text(out, size, said);
}

int nvmlDeviceGetMemoryInfo(nvmlDevice_t gpu, nvmlMemory_t *out) {
    if (gpu->index == 1) return NO_PERMISSION;
    out->total = (gpu->part ? 10240ull : 81559ull) * MIB;
    out->used = 1559ull * MIB;
    out->free = out->total - out->used;
    return OK;
}

int nvmlDeviceGetUtilizationRates(nvmlDevice_t gpu, nvmlUtilization_t *out) {
    if (gpu->index == 1) return NOT_SUPPORTED;
    out->gpu = 37;
    out->memory = 5;
    return OK;
}

int nvmlDeviceGetPciInfo_v3(nvmlDevice_t gpu, nvmlPciInfo_t *out) {
    if (gpu->index == 1) return NOT_SUPPORTED;
    memset(out, 0, sizeof *out);
    out->bus = 0x65;
    strcpy(out->busIdLegacy, "0000:65:00.0");
    strcpy(out->busId, "00000000:65:00.0");
    return OK;
}

int nvmlDeviceGetCudaComputeCapability(nvmlDevice_t gpu, int *major, int *minor) {
    *major = 9;
    *minor = gpu->index;
    return OK;
}

int nvmlDeviceGetTemperature(nvmlDevice_t gpu, int sensor, unsigned int *out) {
    if (gpu->index == 1 || sensor != 0) return NOT_SUPPORTED;
    *out = 41;
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t gpu, unsigned int *count, nvmlProcessInfo_v2_t *out) {
    if (gpu->index == 1) return NOT_SUPPORTED;
    out[0] = (nvmlProcessInfo_v2_t){77, 990ull * MIB, -1u, -1u};
    out[1] = (nvmlProcessInfo_v2_t){78, -1ull, -1u, -1u};
    *count = 2;
    return OK;
}

// As in drivers 535.43 to 535.86, where this call's layout was another one under the same name.
int nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t gpu, unsigned int *count, nvmlProcessInfo_of_535_43_t *out) {
    if (gpu->index == 1) return NOT_SUPPORTED;
    out[0] = (nvmlProcessInfo_of_535_43_t){77, 990ull * MIB, -1u, -1u, 0};
    out[1] = (nvmlProcessInfo_of_535_43_t){78, -1ull, -1u, -1u, 0};
    *count = 2;
    return OK;
}

int nvmlDeviceGetEccMode(nvmlDevice_t gpu, int *current, int *pending) {
    if (gpu->index == 1) return NOT_SUPPORTED;
    *current = *pending = 1;
    return OK;
}

int nvmlDeviceGetTotalEccErrors(nvmlDevice_t gpu, int kind, int counter, unsigned long long *out) {
    if (gpu->index == 1 || counter != 0) return NOT_SUPPORTED;
    *out = kind == 0 ? 5000000000ull : 2;
    return OK;
}

int nvmlDeviceGetRemappedRows(nvmlDevice_t gpu, unsigned int *corrected, unsigned int *uncorrected,
                              unsigned int *pending, unsigned int *failed) {
    if (gpu->index == 1) return NOT_SUPPORTED;
    *corrected = 1;
    *uncorrected = 2;
    *pending = 1;
    *failed = 0;
    return OK;
}

int nvmlDeviceGetMigMode(nvmlDevice_t gpu, unsigned int *current, unsigned int *pending) {
    if (gpu->index == 1) return NOT_SUPPORTED;
    *current = *pending = getenv("NVML_STANDIN_MIG") != NULL;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t gpu, unsigned int *out) { (void)gpu; *out = 7; return OK; }

int nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t gpu, unsigned int index, nvmlDevice_t *out) {
    (void)gpu;
    if (index != 4) return NOT_FOUND;
    *out = (nvmlDevice_t)&devices[3];
    return OK;
}

int nvmlDeviceGetP2PStatus(nvmlDevice_t gpu, nvmlDevice_t other, int capability, int *out) {
    (void)other;
    if (gpu->index == 1) return NO_PERMISSION;
    *out = capability == 2 ? 1 : 0;
    return OK;
}

int nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t gpu, nvmlDevice_t other, int *out) {
    (void)other;
    if (gpu->index == 1) return NOT_SUPPORTED;
    *out = 40;
    return OK;
}
