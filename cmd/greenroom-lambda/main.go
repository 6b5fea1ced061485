// Command greenroom-lambda is greenroom without servers: one program for the AWS Lambda functions wake, instance, change and
// sweep, whose handlers say what calls them. Command greenroom-lambda-http is the function http. See docs/serverless.md.
package main

import (
	"os"

	"greenroom/internal/app/lambda"
)

func main() { lambda.Start(os.Getenv, lambda.Open, nil) }
