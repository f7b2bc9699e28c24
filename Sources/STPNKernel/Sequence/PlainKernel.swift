/// The plain kernel's answer to a job; see `SequenceKernel.perform`.
func runPlainKernel(_ job: Job) -> Int? {
    switch (job.cell, job.type) {
    case (.stpn(let cell), .float32): run(STPNEquations<Float>.self, cell, job)
    case (.stpn(let cell), .float64): run(STPNEquations<Double>.self, cell, job)
    }
}

private func run<E: Equations>(_: E.Type, _ cell: E.Description, _ job: Job) -> Int? {
    PlainSequence<E>(cell, batch: job.batch, time: job.time).perform(job.work)
}
