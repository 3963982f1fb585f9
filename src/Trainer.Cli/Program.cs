return Trainer.Cli.Application.Run(args);
