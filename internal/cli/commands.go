package cli

import "github.com/spf13/cobra"

// commands lists the subcommands.
func commands(s streams) []*cobra.Command {
	return []*cobra.Command{
		newRun(s),
		newPlan(s),
		newReport(s),
		newCompare(s),
		newCheck(s),
		newExplain(s),
		newDiagnose(s),
		newLab(s),
		newCloud(s),
		newLearn(s),
		newSim(s),
		newCost(s),
		newEnvoy(s),
		newComment(s),
		newVersion(s),
		newSpin(s),
		newApp(s),
		newLoadTask(s),
		newNode(s),
	}
}
