"""The experiments of the paper on the NumPy API, without torch.

`python -m stpn_swift.experiments.retrieval` trains on associative retrieval;
`python -m stpn_swift.experiments.figure` draws several runs into one figure. They need the packages of the
extra `experiments`: tqdm, matplotlib, safetensors.
"""
