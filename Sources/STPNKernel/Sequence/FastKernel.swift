#if STPN_X86_64_V3
@_cdecl("stpn_kernel_x86_64_v3")
func kernel(_ job: UnsafeRawPointer) { _ = runFastKernel(job.assumingMemoryBound(to: Job.self).pointee) }
#elseif STPN_X86_64_V4
@_cdecl("stpn_kernel_x86_64_v4")
func kernel(_ job: UnsafeRawPointer) { _ = runFastKernel(job.assumingMemoryBound(to: Job.self).pointee) }
#endif

/// The fast kernel's answer to a job; see `SequenceKernel.perform`.
func runFastKernel(_ job: Job) -> Int? {
    switch (job.cell, job.type) {
    case (.stpn(let cell), .float32): run(STPNFast<Float>(cell), job)
    case (.stpn(let cell), .float64): run(STPNFast<Double>(cell), job)
    }
}

private func run<C: FastCell>(_ cell: C, _ job: Job) -> Int? {
    FastSequence(cell, batch: job.batch, time: job.time, threads: job.threads).perform(job.work)
}
