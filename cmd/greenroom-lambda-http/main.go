// Command greenroom-lambda-http is the AWS Lambda function http of greenroom without servers: the pages and the API. Command
// greenroom-lambda is the other functions. See docs/serverless.md.
package main

import (
	"os"

	"greenroom/internal/app/lambda"
	"greenroom/internal/app/lambda/httpfunction"
)

func main() { lambda.Start(os.Getenv, httpfunction.Open, httpfunction.Broken) }
