module github.com/hoplab/hoplab/loadtest/samplefile

go 1.26
