#if STPN_BASELINE
@_cdecl("stpn_kernel_baseline")
func kernel(_ job: UnsafeRawPointer) -> Int64 { run(job) }
#elseif STPN_X86_64_V3
@_cdecl("stpn_kernel_x86_64_v3")
func kernel(_ job: UnsafeRawPointer) -> Int64 { run(job) }
#elseif STPN_X86_64_V4
@_cdecl("stpn_kernel_x86_64_v4")
func kernel(_ job: UnsafeRawPointer) -> Int64 { run(job) }
#endif

private func run(_ job: UnsafeRawPointer) -> Int64 {
    let job = job.assumingMemoryBound(to: Job.self).pointee
    return job.cell.runFast(job).map { Int64($0) } ?? -1
}

extension FastCell {
    /// The fast kernel's answer to a job; see `SequenceKernel.perform`.
    func run(_ job: Job) -> Int? {
        guard Number.isFast else { return nil }
        return FastSequence(self, batch: job.batch, time: job.time, threads: job.threads).perform(job.work)
    }
}
